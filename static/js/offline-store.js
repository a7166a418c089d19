/**
 * The data that this browser keeps for an account, in IndexedDB: transcripts for reading offline,
 * files that wait for a connection, and live recordings with audio that the server does not have
 * yet. It is erased when someone signs out, or another account signs in. If a session has only
 * ended, transcripts are erased; what was not sent yet waits until its owner signs in again, as do
 * files that were `shared` with the app. The service worker uses this module, too.
 */
const OWNER = "owner"; // the only key of the store `account`
const STORES = ["account", "transcripts", "uploads", "recordings", "pieces", "shared"];

function open() {
  return new Promise((done, fail) => {
    const request = indexedDB.open("transcodio", 3);
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) {
        request.result.createObjectStore("account");
        request.result.createObjectStore("transcripts", { keyPath: "id" });
        request.result.createObjectStore("uploads", { keyPath: "id" });
      }
      if (oldVersion < 2) {
        request.result.createObjectStore("recordings", { keyPath: "id" });
        request.result.createObjectStore("pieces", { keyPath: ["recording", "end"] }); // `end` in bytes
      }
      request.result.createObjectStore("shared", { keyPath: "id" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

/** Resolves to the result of the request that `work` returns, after its transaction is stored. */
async function transact(mode, work) {
  const database = await open();
  try {
    return await new Promise((done, fail) => {
      const transaction = database.transaction(STORES, mode);
      const request = work((name) => transaction.objectStore(name), transaction);
      transaction.oncomplete = () => done(request?.result);
      transaction.onabort = () => fail(transaction.error ?? new Error("of another account"));
    });
  } finally {
    database.close();
  }
}

function clear(store, names = STORES) {
  for (const name of names) store(name).clear();
}

/** Erases everything. */
export function erase() {
  return transact("readwrite", (store) => clear(store));
}

/**
 * Erases data that does not belong to `account`, which is empty if nobody is signed in. Shared
 * files without an account then belong to it.
 */
export function claim(account) {
  return transact("readwrite", (store) => {
    const owner = store("account").get(OWNER);
    owner.onsuccess = () => {
      if (!account) return clear(store, ["transcripts"]);
      if (owner.result !== account) clear(store, STORES.filter((name) => name !== "shared"));
      store("account").put(account, OWNER);
      takeShared(store, account);
    };
  });
}

function takeShared(store, account) {
  const shared = store("shared").getAll();
  shared.onsuccess = () => {
    for (const record of shared.result) {
      if (!record.account) store("shared").put({ ...record, account });
      else if (record.account !== account) store("shared").delete(record.id);
    }
  };
}

/** Keeps files that were shared with the app for the account that is signed in, or signs in next. */
export function share(files) {
  return transact("readwrite", (store) => {
    const owner = store("account").get(OWNER);
    owner.onsuccess = () => {
      for (const file of files) store("shared").put({ id: newKey(), account: owner.result ?? "", file });
    };
  });
}

/** A new key for an upload. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].join("-");
}

/**
 * Changes records in one transaction. Rejects if `account` has been signed out (in another tab), or
 * if there is no space.
 */
export function change(account, work) {
  return transact("readwrite", (store, transaction) => {
    const owner = store("account").get(OWNER);
    owner.onsuccess = () => {
      if (account && owner.result === account) work(store);
      else transaction.abort();
    };
  });
}

/** Stores a record with an `id`. Rejects like `change`. */
export function put(account, name, record) {
  return change(account, (store) => store(name).put(record));
}

/** Turns shared files into uploads with these options. Rejects like `change`. */
export function accept(account, ids, options) {
  return change(account, (store) => {
    for (const id of ids) {
      const shared = store("shared").get(id);
      shared.onsuccess = () => {
        if (!shared.result) return; // done in another tab
        store("uploads").put({ id, file: shared.result.file, options });
        store("shared").delete(id);
      };
    }
  });
}

/** All records of a store, or the first `count` in a range of keys. */
export function all(name, range, count) {
  return transact("readonly", (store) => store(name).getAll(range, count));
}

/** The last key of a store in a range, or undefined. */
export async function lastKey(name, range) {
  const cursor = await transact("readonly", (store) => store(name).openKeyCursor(range, "prev"));
  return cursor?.key;
}

/** The record with that id, or undefined. */
export function get(name, id) {
  return transact("readonly", (store) => store(name).get(id));
}

export function remove(name, id) {
  return transact("readwrite", (store) => store(name).delete(id));
}
