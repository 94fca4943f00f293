// What is to be changed, face by face, with undo. Knows nothing of the page.
//
// State: {changes: {face: {targets: {group: word}, strength}}, known: {face: {group: [words of a request]}}}.
// `face` is the number of a face, or 0 for the whole photo.

const EMPTY = { changes: {}, known: {} };

export class Edits {
  #past = [];
  #future = [];
  #now = EMPTY;

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  get changed() {
    return Object.values(this.#now.changes).some((change) => Object.keys(change.targets).length);
  }

  // The word that a face is changed to in a group, if it is.
  target(face, group) {
    return this.#now.changes[face]?.targets[group];
  }

  strength(face) {
    return this.#now.changes[face]?.strength ?? 1;
  }

  // The corrected labels of a face in a group, if they were corrected.
  corrected(face, group) {
    return this.#now.known[face]?.[group];
  }

  known(face) {
    return Object.values(this.#now.known[face] ?? {}).flat();
  }

  // Each face with its own word or null, as one step.
  setTargets(pairs, group) {
    this.#change((next) => {
      for (const [face, word] of pairs) {
        const change = (next.changes[face] ??= { targets: {}, strength: 1 });
        if (word === null) delete change.targets[group];
        else change.targets[group] = word;
      }
    });
  }

  // `merge`: part of one movement of the slider, which is one step.
  setStrength(faces, strength, merge) {
    const set = (next) => {
      for (const face of faces) (next.changes[face] ??= { targets: {}, strength: 1 }).strength = strength;
    };
    if (!merge) return this.#change(set);
    const next = structuredClone(this.#now);
    set(next);
    this.#now = next;
  }

  correct(face, group, words) {
    this.#change((next) => {
      const known = (next.known[face] ??= {});
      if (words === null) delete known[group];
      else known[group] = words;
    });
  }

  clearChanges() {
    this.#change((next) => {
      next.changes = {};
    });
  }

  undo() {
    this.#future.push(this.#now);
    this.#now = this.#past.pop();
  }

  redo() {
    this.#past.push(this.#now);
    this.#now = this.#future.pop();
  }

  reset() {
    this.#past = [];
    this.#future = [];
    this.#now = EMPTY;
  }

  // For the backend.
  requests() {
    return Object.entries(this.#now.changes)
      .filter(([, change]) => Object.keys(change.targets).length)
      .map(([face, change]) => ({
        faces: face === "0" ? "all" : [Number(face)],
        target: Object.values(change.targets),
        strength: change.strength,
        known: this.known(face),
      }));
  }

  // All words of the changes, each once.
  words() {
    return [...new Set(this.requests().flatMap((edit) => edit.target))];
  }

  #change(edit) {
    const next = structuredClone(this.#now);
    edit(next);
    this.#past.push(this.#now);
    this.#future = [];
    this.#now = next;
  }
}
