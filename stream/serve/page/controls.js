// The controls of the picture: what they show is what the server says, not what was clicked.

const find = (id) => document.getElementById(id);

export class Controls {
  #send;
  #settings = null;
  #names = "";
  #pending = 0; // wishes that the server has not answered yet

  constructor(send) {
    this.#send = send;
    find("look").onchange = ({ target }) => this.#want({ look: target.value });
    find("model").onchange = ({ target }) => this.#want({ model: target.value });
    find("labels").onchange = ({ target }) => this.#want({ labels: target.checked });
    find("background").onchange = ({ target }) => this.#want({ background: target.value.slice(1) });
    find("threshold").oninput = ({ target }) => { find("threshold-value").value = (+target.value).toFixed(2); };
    find("threshold").onchange = ({ target }) => this.#want({ threshold: +target.value });
    find("classes").onchange = () => {
      const all = [...find("classes").querySelectorAll("input")];
      const kept = all.filter((one) => one.checked).map((one) => one.value);
      this.#want({ classes: kept.length === all.length ? [] : kept });
    };
    find("classes-filter").oninput = ({ target }) => {
      for (const label of find("classes").querySelectorAll("label"))
        label.hidden = !label.textContent.toLowerCase().includes(target.value.toLowerCase());
    };
  }

  offer(looks, models) {
    fill(find("look"), looks);
    fill(find("model"), models);
  }

  /** What the server says; while it has wishes to answer, what it says is older than they are. */
  hear(settings) {
    if (settings.done) this.#pending = Math.max(0, this.#pending - 1);
    if (this.#pending === 0) this.show(settings);
  }

  /** Begins with another source. */
  begin(settings) {
    this.#pending = 0;
    this.show(settings);
  }

  show(settings) {
    this.#settings = settings;
    find("look").value = settings.look;
    find("model").value = settings.model;
    find("labels").checked = settings.labels;
    find("background-field").hidden = !settings.look.split("+").includes("replace");
    if (settings.background) find("background").value = `#${settings.background}`;
    if (document.activeElement !== find("threshold")) find("threshold").value = settings.threshold;
    find("threshold-value").value = settings.threshold.toFixed(2);
    this.#classes(settings);
  }

  nextLook() {
    const look = find("look");
    this.#want({ look: look.options[(look.selectedIndex + 1) % look.length].value });
  }

  toggleLabels() {
    this.#want({ labels: !this.#settings?.labels });
  }

  moveThreshold(steps) {
    if (!this.#settings) return;
    const wanted = Math.round((this.#settings.threshold + 0.05 * steps) * 100) / 100;
    this.#want({ threshold: Math.min(0.95, Math.max(0.05, wanted)) });
  }

  /** Shows a wish at once, so that the next key goes on from there. */
  #want(wish) {
    if (!this.#settings) return;
    this.show({ ...this.#settings, ...wish });
    this.#pending += 1;
    this.#send(wish);
  }

  #classes({ names, classes }) {
    const kept = new Set(classes.length ? classes : names);
    if (this.#names !== names.join()) {
      this.#names = names.join();
      const labels = names.map((name) => {
        const label = document.createElement("label"), box = document.createElement("input");
        Object.assign(box, { type: "checkbox", value: name });
        label.append(box, name);
        return label;
      });
      find("classes").querySelectorAll("label").forEach((one) => one.remove());
      find("classes").append(...labels);
    }
    for (const box of find("classes").querySelectorAll("input")) box.checked = kept.has(box.value);
    find("classes-said").textContent = classes.length ? `${classes.length} of ${names.length}` : `all ${names.length}`;
  }
}

function fill(select, values) {
  if ([...select.options].map((one) => one.value).join("\n") === values.join("\n")) return;
  select.replaceChildren(...values.map((value) => new Option(value.replaceAll("+", " + "), value)));
}
