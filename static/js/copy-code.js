/** <copy-code>: a button that copies the code inside to the clipboard. */
const STATUS_DURATION_MS = 2000;

customElements.define("copy-code", class extends HTMLElement {
  connectedCallback() {
    if (this.button) return;
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "button button-quiet copy-button";
    this.button.textContent = "Copy";
    this.button.setAttribute("aria-label", "Copy code");
    this.button.addEventListener("click", () => this.copy());
    this.status = document.createElement("span");
    this.status.className = "visually-hidden";
    this.status.setAttribute("role", "status");
    this.append(this.button, this.status);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  async copy() {
    const code = this.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      this.showStatus("Copied");
    } catch { // no permission, or not a secure context: plain HTTP in a local network
      getSelection().selectAllChildren(code);
      this.showStatus(document.execCommand("copy") ? "Copied" : "Selected");
    }
  }

  showStatus(text) {
    this.button.textContent = text;
    this.status.textContent = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.button.textContent = "Copy";
      this.status.textContent = "";
    }, STATUS_DURATION_MS);
  }
});
