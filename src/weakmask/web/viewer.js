"use strict";
// The page of viewer_page.py: unpacks the volumes and NiiVue, draws, and answers buttons and keys.
(() => {
  const element = (id) => document.getElementById(id);
  const data = JSON.parse(element("data").textContent);
  const canvas = element("canvas");
  const COLOURS = {
    mask: [[255, 159, 28], [239, 68, 68], [168, 85, 247], [234, 179, 8]],
    truth: [[56, 189, 248]],
    regions: [[56, 189, 248], [45, 212, 191], [134, 239, 172], [253, 224, 71], [196, 181, 253], [251, 146, 180]],
  };
  const KEYS = { m: "mask", r: "regions", a: "map" };
  const order = ["regions", "map", "truth", "mask"].filter((name) => name in data.layers);
  const windows = Object.keys(data.windows);
  let viewer;
  let view = data.flat ? "axial" : "planes";
  let current = 0;

  const fail = (text) => {
    element("reason").textContent = text;
    element("message").hidden = false;
    document.body.dataset.state = "failed";
  };

  const unpack = async (text) => {
    const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  };

  const loadLibrary = async () => {
    const source = new Blob([await unpack(element("library").textContent)], { type: "text/javascript" });
    const address = URL.createObjectURL(source);
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.onload = resolve;
      script.onerror = () => reject(new Error("the drawing library does not start"));
      script.src = address;
      document.head.append(script);
    });
    URL.revokeObjectURL(address);
  };

  const labels = (name, largest) => {
    const colours = COLOURS[name];
    const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
    for (let label = 1; label <= largest; label += 1) {
      const [red, green, blue] = colours[(label - 1) % colours.length];
      map.R.push(red); map.G.push(green); map.B.push(blue); map.A.push(255); map.I.push(label);
      map.labels.push(name === "regions" ? data.names[label] || String(label) : name);
    }
    return map;
  };

  const opacity = (name) => Number(document.querySelector(`[data-layer="${name}"]`).value) / 100;

  const addLayers = async () => {
    const [low, high] = data.windows[windows[0]];
    const image = await niivue.NVImage.new(await unpack(data.image), "image.nii", "gray", 1, null, low, high, true);
    viewer.addVolume(image);
    for (const name of order) {
      const buffer = await unpack(data.layers[name]);
      const colours = name === "map" ? "inferno" : "gray";
      const layer = await niivue.NVImage.new(buffer, `${name}.nii`, colours, opacity(name), null, name === "map" ? 20 : 0, 255, true);
      viewer.addVolume(layer);
      if (name !== "map") layer.setColormapLabel(labels(name, layer.img.reduce((most, label) => Math.max(most, label), 0)));
    }
    viewer.updateGLVolume();
  };

  const showCount = () => {
    const place = order.indexOf("mask");
    const voxels = place < 0 ? [] : viewer.volumes[place + 1].img;
    let count = 0;
    for (const value of voxels) if (value !== 0) count += 1;
    document.body.dataset.lesionVoxels = String(count);
    element("count").textContent = `${count.toLocaleString("en")} voxels of the mask in this page`;
  };

  const showPlace = (location) => {
    const [image, ...over] = location.values;
    const names = over.map((layer, place) => {
      const name = order[place];
      if (!layer.value) return "";
      if (name === "regions") return data.names[layer.value] || String(layer.value);
      return name === "map" ? `activation ${(layer.value / 255).toFixed(2)}` : name === "truth" ? "true mask" : "mask";
    });
    const grey = data.flat ? [] : [`${Math.round(image.value)}${data.unit}`];
    element("place").textContent = [...grey, ...names.filter(Boolean)].join(" \u00b7 ");
  };

  const refresh = () => {
    const solid = view === "3-D";
    viewer.setOpacity(0, solid ? 0 : 1);
    order.forEach((name, place) => {
      const wanted = opacity(name);
      viewer.setOpacity(place + 1, solid && name === "map" ? 0 : wanted);
    });
  };

  const setView = (name) => {
    if (data.flat && name !== "axial") return;
    view = name;
    const types = { planes: viewer.sliceTypeMultiplanar, axial: viewer.sliceTypeAxial, coronal: viewer.sliceTypeCoronal, sagittal: viewer.sliceTypeSagittal, "3-D": viewer.sliceTypeRender };
    viewer.setSliceType(types[name]);
    refresh();
    for (const button of document.querySelectorAll("[data-view]")) button.ariaPressed = String(button.dataset.view === name);
  };

  const setWindow = (name) => {
    current = windows.indexOf(name);
    const image = viewer.volumes[0];
    [image.cal_min, image.cal_max] = data.windows[name];
    viewer.updateGLVolume();
    for (const button of document.querySelectorAll("[data-window]")) button.ariaPressed = String(button.dataset.window === name);
  };

  const jump = (row) => {
    const place = data.places[row];
    if (!place) return;
    viewer.scene.crosshairPos = viewer.mm2frac(place);
    viewer.createOnLocationChange();
    viewer.drawScene();
    document.body.dataset.jumpedTo = place.join(" ");
  };

  const toggle = (name) => {
    const slider = document.querySelector(`[data-layer="${name}"]`);
    if (!slider) return;
    if (Number(slider.value) > 0) { slider.dataset.before = slider.value; slider.value = "0"; } else { slider.value = slider.dataset.before || "60"; }
    refresh();
  };

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
    const steps = { ArrowUp: [0, 0, 1], ArrowDown: [0, 0, -1], PageUp: [0, 0, 5], PageDown: [0, 0, -5], ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0] };
    const views = ["planes", "axial", "coronal", "sagittal", "3-D"];
    if (event.key in steps) viewer.moveCrosshairInVox(...steps[event.key]);
    else if (views[Number(event.key) - 1]) setView(views[Number(event.key) - 1]);
    else if (event.key === "w") setWindow(windows[(current + 1) % windows.length]);
    else if (event.key in KEYS) toggle(KEYS[event.key]);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  const listen = () => {
    for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => setView(button.dataset.view));
    for (const button of document.querySelectorAll("[data-window]")) button.addEventListener("click", () => setWindow(button.dataset.window));
    for (const button of document.querySelectorAll("[data-row]")) button.addEventListener("click", () => jump(Number(button.dataset.row)));
    for (const slider of document.querySelectorAll("[data-layer]")) slider.addEventListener("input", refresh);
    document.addEventListener("keydown", onKey, true);
  };

  const start = async () => {
    if (!document.createElement("canvas").getContext("webgl2")) {
      fail("This browser cannot draw volumes: WebGL 2 is missing or switched off. Use a current Firefox, Chrome, Edge or Safari.");
      return;
    }
    await loadLibrary();
    viewer = new niivue.Niivue({
      isRadiologicalConvention: true,
      isOrientationTextVisible: true,
      multiplanarForceRender: false,
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.49, 0.83, 0.99, 0.55],
      crosshairWidth: 0.7,
      crosshairWidthUnit: "mm",
      sagittalNoseLeft: true,
      dragAndDropEnabled: false,
      show3Dcrosshair: true,
      loadingText: "",
    });
    viewer.onLocationChange = showPlace;
    await viewer.attachToCanvas(canvas);
    await addLayers();
    showCount();
    listen();
    const asked = decodeURIComponent(location.hash.slice(1));
    setView(document.querySelector(`[data-view="${CSS.escape(asked)}"]`) ? asked : view);
    jump(data.places.length - 1);
    document.body.dataset.state = "ready";
  };

  start().catch((error) => fail(`This page cannot be drawn: ${error.message}`));
})();
