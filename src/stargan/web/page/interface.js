// What the page asks of a model. Two modules answer: `backend.js` asks a server, `local/backend.js` runs the model in the
// browser. Each exports a class `Backend` with these methods; `index.html` names the module.
//
//   new Backend(askForKey, loading)   async function that returns a key for a server that needs one; function that is
//                               told which share of the model has been loaded, 0 to 1
//   words                       the keys of words that the page replaces by others
//   docs                        the address of the API's description; empty if there is none
//   models()                    [{name, about, groups, card, limits, sample, ...}]
//   watched                     after models(): how many training runs there are to watch; none if it is missing
//   open(file, model, {align})  a photo: {name, width, height, faces, labels}
//   look(photo, model, {align}) the same photo, seen by another model
//   translate(photo, model, edits, {longest})   a Blob; edits are [{faces, target, strength, known}]
//   sheet(photo, model, {faces, known, side})   [{word, url}]
//   close(photo)                forgets it

// `code` is one of the words under "errors" in words/*.json.
export class BackendError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
