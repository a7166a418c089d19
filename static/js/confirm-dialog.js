/** <confirm-dialog>: its `data-open` button asks first; the dialog inside has the real submit button. */
customElements.define("confirm-dialog", class extends HTMLElement {
  connectedCallback() {
    const dialog = this.querySelector("dialog");
    this.querySelector("[data-open]").addEventListener("click", (event) => {
      event.preventDefault(); // without scripts the button may submit at once
      dialog.showModal();
    });
    this.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // a click on the backdrop
    });
  }
});
