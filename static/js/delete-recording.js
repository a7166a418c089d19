/** <delete-recording>: asks before the form inside its dialog is sent. */
customElements.define("delete-recording", class extends HTMLElement {
  connectedCallback() {
    const dialog = this.querySelector("dialog");
    this.querySelector("[data-delete]").addEventListener("click", () => dialog.showModal());
    this.querySelector("[data-delete-cancel]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // a click beside the dialog's content
    });
  }
});
