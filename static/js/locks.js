/**
 * Reserves something for this page. Resolves to a function that releases it; null if another page
 * has it.
 */
export function hold(name) {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((done) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return done(null);
      return new Promise((release) => done(release));
    });
  });
}
