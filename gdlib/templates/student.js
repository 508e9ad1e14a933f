// Students at work in the page, with nothing sent anywhere: BERT's word pieces, three small convolutional networks over
// them, and what each word contributed. gdlib/networks/in_page.py packs the weights; what is typed is never made into HTML.
(() => {
  const box = document.getElementById("ask"), find = (name) => box.querySelector(name);
  const data = JSON.parse(document.getElementById("ask-data").textContent);

  function bytes(encoded) {
    return Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)).buffer;
  }

  // Weights in floats. A convolution's channel is stored [inputs, width]; here [width, inputs], to be read in a row.
  function tensor({ shape, values, scale }) {
    if (!scale) return new Float32Array(bytes(values));
    const whole = new Int8Array(bytes(values)), scales = new Float32Array(bytes(scale));
    const [rows, inputs, width = 1] = shape, size = inputs * width, out = new Float32Array(whole.length);
    for (let row = 0; row < rows; row++)
      for (let i = 0; i < inputs; i++)
        for (let k = 0; k < width; k++)
          out[row * size + k * inputs + i] = whole[row * size + i * width + k] * scales[row];
    return Object.assign(out, { rows, inputs, width });
  }

  // ---- word pieces, as BERT's tokenizer makes them

  const id = new Map(data.pieces.map((piece, place) => [piece, place]));
  const rowOf = new Int32Array(bytes(data.rows)), UNKNOWN = 1;
  const chinese = /[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;

  function clean(text) {
    const kept = [...text].map((c) => (/[\t\n\r\p{Z}]/u.test(c) ? " " : c)).filter((c) => c !== "\ufffd" && !/\p{C}/u.test(c));
    const spaced = kept.map((c) => (chinese.test(c) ? ` ${c} ` : c)).join("");
    const bare = spaced.normalize("NFD").replace(/\p{Mn}/gu, "");
    return [...bare].map((c) => c.toLowerCase()).join("");
  }

  function pieces(word) {  // ids of a word, the longest pieces first; the unknown one if a part fits no piece
    const letters = [...word], found = [];
    if (letters.length > data.longest) return [id.get(data.unknown)];
    for (let start = 0; start < letters.length;) {
      let end = letters.length, piece;
      while (end > start && !id.has((piece = (start ? data.joined : "") + letters.slice(start, end).join("")))) end--;
      if (end === start) return [id.get(data.unknown)];
      found.push(id.get(piece));
      start = end;
    }
    return found;
  }

  const parts = (text) => text.match(/[\p{P}$+<=>^`|~]|[^ \p{P}$+<=>^`|~]+/gu) || [];

  // Words as they are typed, each with the rows of its pieces; cut where the student's own texts were cut.
  function read(text) {
    let left = data.max_length;
    return (text.match(/[\t\n\r\p{Z}]+|[^\t\n\r\p{Z}]+/gu) || []).map((word) => {
      const rows = parts(clean(word)).flatMap(pieces).slice(0, left).map((piece) => rowOf[piece]);
      left -= rows.length;
      return { word, rows };
    });
  }

  // ---- networks

  // out[t] = bias + sum over k, i of weight[k, i] * input[t + k - left][i]; beyond the ends there is nothing.
  function convolve(input, weight, bias) {
    const { rows, inputs, width } = weight, left = (width - 1) >> 1;
    return input.map((_, t) => {
      const out = Float32Array.from(bias);
      for (let k = Math.max(0, left - t); k < width && t + k - left < input.length; k++) {
        const vector = input[t + k - left];
        for (let row = 0; row < rows; row++) {
          const start = (row * width + k) * inputs;
          let sum = 0;
          for (let i = 0; i < inputs; i++) sum += weight[start + i] * vector[i];
          out[row] += sum;
        }
      }
      return out;
    });
  }

  const relu = (vector) => vector.map((x) => Math.max(0, x));
  const add = (a, b) => a.map((x, i) => x + b[i]);
  const largest = (vectors) => vectors.reduce((a, b) => a.map((x, i) => Math.max(x, b[i])));
  const joined = (vectors) => Float32Array.from(vectors.flatMap((vector) => [...vector]));

  const FEATURES = {
    KimCNN: (hidden, layer) => relu(joined([0, 1, 2].map((i) => largest(layer(`convolutions.${i}`, hidden))))),
    BlendCNN: (hidden, layer) => joined([0, 1, 2].map((i) => largest(hidden = layer(`convolutions.${i}`, hidden).map(relu)))),
    ResCNN: (hidden, layer) => {
      hidden = layer("project", hidden).map(relu);
      for (const i of [0, 1]) {
        const inner = layer(`pairs.${i}.0`, hidden).map(relu);
        hidden = layer(`pairs.${i}.1`, inner).map((change, t) => relu(add(hidden[t], change)));
      }
      return largest(hidden);
    },
  };

  const students = data.students.map(({ name, family, temperature, tensors }) => {
    const own = Object.fromEntries(Object.entries(tensors).map(([place, value]) => [place, tensor(value)]));
    const layer = (place, hidden) => convolve(hidden, own[`${place}.weight`], own[`${place}.bias`]);
    const readout = Object.keys(own).filter((place) => /^readout.*weight$/.test(place)).map((place) => place.slice(0, -7));
    const table = own["embedding.weight"], size = table.inputs;
    return {
      name,
      answer(rows) {  // calibrated probabilities of the rows of a text
        const input = (rows.length ? rows : [UNKNOWN]).map((row) => table.subarray(row * size, (row + 1) * size));
        let vector = FEATURES[family](input, layer);
        readout.forEach((place, depth) => {
          vector = layer(place, [depth ? relu(vector) : vector])[0];
        });
        const exps = [...vector].map((logit) => Math.exp((logit - Math.max(...vector)) / temperature));
        const total = exps.reduce((a, b) => a + b);
        return exps.map((each) => each / total);
      },
    };
  });

  // ---- the page

  function element(tag, text = "", style = {}) {
    const made = Object.assign(document.createElement(tag), { textContent: text });
    Object.assign(made.style, style);
    return made;
  }

  // A word is shaded by how much the likeliest class loses without it; below a percent it is not.
  function shade(words, marks, student, shares, best, turn, mine) {
    const at = words.findIndex(({ rows }, place) => place >= turn && rows.length);
    if (at < 0 || mine !== latest) return;
    const without = student.answer(words.flatMap(({ rows }, place) => (place === at ? [] : rows)));
    const lost = shares[best] - without[best];
    if (Math.abs(lost) >= 0.01) {
      const strength = Math.min(0.8, 0.15 + Math.abs(lost));
      marks[at].style.background = lost > 0 ? `rgba(0, 114, 178, ${strength})` : `rgba(213, 94, 0, ${strength})`;
      marks[at].style.textDecoration = lost > 0 ? "" : "underline dotted";
      marks[at].title = `${lost > 0 ? "+" : "−"}${Math.abs(100 * lost).toFixed(0)} points`;
    }
    setTimeout(() => shade(words, marks, student, shares, best, at + 1, mine));
  }

  let latest = 0;
  function show() {
    const words = read(find("textarea").value), mine = ++latest, rows = words.flatMap((each) => each.rows);
    find(".answers").replaceChildren(...students.map((student) => {
      const card = element("section"), shares = student.answer(rows), best = shares.indexOf(Math.max(...shares));
      card.append(element("h3", student.name));
      data.labels.forEach((label, place) => {
        const line = element("div");
        line.className = place === best ? "answer best" : "answer";
        line.append(element("span", label), element("i", "", { width: `${40 * shares[place]}%` }),
          element("b", `${(100 * shares[place]).toFixed(1)}%`));
        card.append(line);
      });
      const marks = words.map(({ word }) => element("span", word)), text = element("p");
      text.className = "words";
      text.append(...marks);
      card.append(text);
      setTimeout(() => shade(words, marks, student, shares, best, 0, mine));
      return card;
    }));
  }

  box.gdlib = { read, students };
  let waiting;
  find("textarea").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 150); });
  for (const button of box.querySelectorAll("button"))
    button.addEventListener("click", () => { find("textarea").value = button.textContent; show(); });
  show();
})();
