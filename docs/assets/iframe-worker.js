/* A page that is read from a disk may start no worker, so the search would find nothing: here its script runs in a
   hidden frame instead, and answers in the same way. On a server nothing of this happens. */
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const base = new URL(address, location)
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.srcdoc = "<!doctype html><title>search</title>"
      this.inside = new Promise((started, failed) => {
        frame.onload = () => {
          const inside = frame.contentWindow
          const load = url =>
            new Promise((done, wrong) => {
              const script = inside.document.createElement("script")
              Object.assign(script, { src: new URL(url, base), onload: done, onerror: wrong })
              inside.document.head.append(script)
            })
          inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          inside.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => load(url)), Promise.resolve())
          load(base).then(() => started(inside), failed)
        }
      })
      this.terminate = () => frame.remove()
      document.body.append(frame)
    }
    postMessage(data) {
      this.inside.then(inside => inside.dispatchEvent(new inside.MessageEvent("message", { data })))
    }
  }
