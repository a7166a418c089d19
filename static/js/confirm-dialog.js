/** <confirm-dialog>: its `data-open` button opens the dialog inside, which has the submit button. */
customElements.define("confirm-dialog", class extends HTMLElement {
  connectedCallback() {
    const dialog = this.querySelector("dialog");
    this.querySelector("[data-open]").addEventListener("click", (event) => {
      event.preventDefault(); // without scripts the button may submit the form directly
      dialog.showModal();
    });
    this.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // a click on the backdrop
    });
  }
});
