/**
 * <confirm-dialog>: its `data-open` button or link asks first. The question is in the <dialog>
 * inside, or else on the page of the link, which is fetched. Without scripts the link opens it.
 */
customElements.define("confirm-dialog", class extends HTMLElement {
  connectedCallback() {
    const dialog = this.querySelector("dialog");
    if (dialog) this.prepare(dialog);
    this.querySelector("[data-open]").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the link, in another tab
      event.preventDefault(); // a button may be one that submits
      this.ask(event.currentTarget.href);
    });
  }

  async ask(url) {
    const dialog = this.querySelector("dialog") || await this.load(url);
    if (dialog) dialog.showModal();
    else location.assign(url); // such as the sign-in page
  }

  /** The dialog with the question of a page; null if it cannot be loaded or has none. */
  async load(url) {
    const response = await fetch(url).catch(() => null);
    if (!response?.ok) return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const question = page.querySelector("#confirmation");
    if (!question || this.querySelector("dialog")) return this.querySelector("dialog");
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-labelledby", "confirmation-question");
    dialog.append(...question.childNodes);
    dialog.addEventListener("close", () => dialog.remove()); // next time it may be different
    this.prepare(dialog);
    this.append(dialog);
    return dialog;
  }

  prepare(dialog) {
    dialog.addEventListener("click", (event) => {
      const close = event.target.closest("[data-close]");
      if (!close && event.target !== dialog) return; // the dialog itself: a click on the backdrop
      event.preventDefault();
      dialog.close();
    });
  }
});
