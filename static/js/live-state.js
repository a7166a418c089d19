/**
 * <live-state data-id>: whether a live recording is recording or paused. There are no events for
 * this: it polls the row of the library.
 */
const POLL_MS = 3_000;

customElements.define("live-state", class extends HTMLElement {
  connectedCallback() {
    this.polling = setInterval(() => this.poll(), POLL_MS);
  }

  disconnectedCallback() {
    clearInterval(this.polling);
  }

  async poll() {
    const response = await fetch(`/transcriptions/rows/?id=${this.dataset.id}`).catch(() => null);
    if (!response?.ok) return;
    const row = new DOMParser().parseFromString(await response.text(), "text/html");
    const state = row.querySelector(".badge");
    const badge = this.querySelector(".badge");
    if (!state || state.dataset.state === badge.dataset.state) return;
    badge.dataset.state = state.dataset.state;
    badge.textContent = state.textContent;
  }
});
