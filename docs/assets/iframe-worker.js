/* A browser starts no worker from a page that was opened from disk, and the search is one. Here its script runs in a
   hidden frame instead, which such a page may have; over a server nothing changes. */
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = Object.assign(document.createElement("iframe"), { hidden: true, srcdoc: "<body></body>" });
      const there = new Promise((done) => this.frame.addEventListener("load", done, { once: true }));
      document.body.append(this.frame);
      this.ready = there.then(() => this.start(String(address)));
    }

    start(address) {
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      return new Promise((done, failed) => {
        const script = inside.document.createElement("script");
        Object.assign(script, { src: address, onload: done, onerror: failed });
        inside.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
