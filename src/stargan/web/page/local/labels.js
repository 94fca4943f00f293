// Labels and requests: what `domains/` and `inference/steps.py` do in Python, for the words of the page.
//
// A network's layout, which Python writes, is {groups: [{columns, categorical, owners}], columns, labels, words}:
// for each group its columns among the values and the data sets that have it; for each data set its columns; the length
// of the generator's labels; and for each word of a request the class that it sets and to what.

const UNCERTAIN = 0.75;

// The classifier's logits as probabilities.
export function probabilities(network, logits) {
  const scaled = [...logits].map((value, at) => value / (network.temperatures[at] ?? 1));
  const found = new Float32Array(scaled.length);
  for (const { columns, categorical } of network.layout.groups) {
    const greatest = Math.max(...columns.map((column) => scaled[column]));
    const sum = columns.reduce((total, column) => total + Math.exp(scaled[column] - greatest), 0);
    for (const column of columns) {
      const value = Math.min(Math.max(scaled[column], -60), 60);
      found[column] = categorical ? Math.exp(scaled[column] - greatest) / sum : 1 / (1 + Math.exp(-value));
    }
  }
  return found;
}

// The most probable values, with at most one class on in each group.
export function decide({ layout }, chances) {
  const values = new Float32Array(chances.length);
  for (const { columns, categorical } of layout.groups) {
    const best = columns.reduce((one, other) => (chances[other] > chances[one] ? other : one));
    values[best] = categorical || chances[best] > 0.5 ? 1 : 0;
  }
  return values;
}

// What is most probable for each group, in the words of the model's description.
export function estimates({ layout }, groups, chances) {
  return layout.groups.map(({ columns, categorical }, index) => {
    const odds = columns.map((column) => Math.min(Math.max(chances[column], 1e-7), 1 - 1e-7));
    const weights = categorical ? odds : [1, ...odds.map((value) => value / (1 - value))];
    const sum = weights.reduce((one, other) => one + other);
    const best = weights.indexOf(Math.max(...weights));
    const { values, none } = groups[index];
    const word = categorical ? values[best] : best ? values[best - 1] : (none ?? values[1]);
    const probability = weights[best] / sum;
    return { word: word.word, probability, uncertain: probability < UNCERTAIN };
  });
}

const changesOf = ({ layout }, words) => new Map(words.map((word) => layout.words[word]));

// Values after a request; what it does not name stays.
function applied({ layout }, values, changes) {
  const target = values.slice();
  let datasets = layout.columns.map((_, index) => index);
  for (const { columns, owners } of layout.groups) {
    const named = columns.filter((column) => changes.has(column));
    if (!named.length) continue;
    datasets = datasets.filter((index) => owners.includes(index));
    if (named.some((column) => changes.get(column))) for (const column of columns) target[column] = 0;
    for (const column of named) target[column] = changes.get(column);
  }
  return { target, dataset: datasets[0] };
}

// Values with what is known of them.
export const withKnown = (network, values, words) => (words.length ? applied(network, values, changesOf(network, words)).target : values);

// Whether an image with these values shows an attribute as a word says; never for the values of a group.
export function shows({ layout }, values, word) {
  const [column, state] = layout.words[word];
  return layout.groups.find(({ columns }) => columns.includes(column)).columns.length === 1 && values[column] === state;
}

// The translation that a request stands for: for each step the generator's second input.
export function steps(network, values, words) {
  const parts = [];
  const changes = changesOf(network, words);
  for (const { columns, owners } of network.layout.groups) {
    const named = columns.filter((column) => changes.has(column));
    if (!named.length) continue;
    let part = parts.find((one) => one.owners.some((owner) => owners.includes(owner)));
    if (!part) parts.push((part = { owners, changes: new Map() }));
    part.owners = part.owners.filter((owner) => owners.includes(owner));
    for (const column of named) part.changes.set(column, changes.get(column));
  }
  let now = values;
  return parts.map((part) => {
    const { target, dataset } = applied(network, now, part.changes);
    const condition = labels(network, target, dataset);
    if (network.condition === "change") labels(network, now, dataset).forEach((value, at) => (condition[at] -= value));
    now = target;
    return condition;
  });
}

// The generator's labels: the values of one data set, and which one it is.
function labels({ layout }, values, dataset) {
  const made = new Float32Array(layout.labels);
  for (const column of layout.columns[dataset]) made[column] = values[column];
  if (layout.columns.length > 1) made[values.length + dataset] = 1;
  return made;
}
