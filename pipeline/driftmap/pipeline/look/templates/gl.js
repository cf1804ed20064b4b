// Points on the graphics card: two places and two looks each, mixed by how far the time is between two windows. A
// frame uploads nothing; a new pair of windows, colour or selection does.
//
// Why not a library: regl-scatterplot 1.16 (224 kB bundled; this file is 6), which fits otherwise, makes its draw calls
// with `Function`, so under a policy without 'unsafe-eval' it throws an EvalError. Allowed that, it moves points by the
// clock only: a slider has to hand it all points again for every frame, in 5 to 10 times our time at 20,000 points and
// 3 to 4 at 100,000 (two runs, each with both, software rendering). And it does not fade what enters and leaves.
const VERTEX = `#version 300 es
in vec4 place; in vec4 look; in float lit;
uniform vec2 scale, shift; uniform float part, ease, size, dim; uniform bool isRamp;
uniform sampler2D palette;
out vec4 tint;
void main() {
  gl_Position = vec4(mix(place.xy, place.zw, ease) * scale + shift, 0.0, 1.0);
  bool isBoth = look.x >= 0.0 && look.y >= 0.0;
  float colour = isRamp && isBoth ? mix(look.x, look.y, part) : part < 0.5 ? (look.x > -2.0 ? look.x : look.y) : (look.y > -2.0 ? look.y : look.x);
  tint = vec4(texelFetch(palette, ivec2(int(colour + 1.5), 0), 0).rgb, mix(look.z, look.w, part) * (lit > 0.5 ? 1.0 : dim));
  gl_PointSize = tint.a > 0.004 ? size : 0.0;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec4 tint; uniform float size, rim; uniform vec3 card;
out vec4 paint;
void main() {
  float away = length(gl_PointCoord - 0.5) * size, outer = size * 0.5 - 0.5, inner = outer - rim;
  float cover = 1.0 - smoothstep(outer - 0.5, outer + 0.5, away);
  vec3 colour = rim > 0.0 ? mix(tint.rgb, card, smoothstep(inner - 0.5, inner + 0.5, away)) : tint.rgb;
  float alpha = cover * tint.a * 0.94;
  if (alpha < 0.004) discard;
  paint = vec4(colour * alpha, alpha);
}`;
let gl = null, program = null, buffers = null, uploaded = null, paletteKey = null;

function startGl() {
  const canvas = $("points");
  canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); program = null; });
  canvas.addEventListener("webglcontextrestored", () => { buildGl(); redraw(); });
  gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, alpha: true });
  return gl !== null && buildGl();
}

function buildGl() {
  program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) { program = null; return false; }
  gl.useProgram(program);
  buffers = [["place", "places", 4], ["look", "looks", 4], ["lit", "lit", 1]].map(([name, field, size]) => {
    const buffer = gl.createBuffer(), at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, gl.FLOAT, false, 0, 0);
    return { buffer, field };
  });
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  uploaded = paletteKey = null;
  return true;
}

// Any CSS colour as bytes: a canvas of one pixel knows them all.
const mixer = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function rgbOf(colour) {
  mixer.fillStyle = colour;
  mixer.fillRect(0, 0, 1, 1);
  return mixer.getImageData(0, 0, 1, 1).data;
}

function loadPalette() {
  const key = `${theme()}/${view.colouring.kind}`;
  if (key === paletteKey) return;
  paletteKey = key;
  const size = 1 + (isRamp() ? RAMP_STEPS : N_COLOURS), texels = new Uint8Array(4 * size);
  for (let k = 0; k < size; k++) texels.set(rgbOf(paint(k - 1)), 4 * k);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, size, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
}

function drawPoints(place, scale) {
  const canvas = $("points"), width = Math.round(place.w * scale), height = Math.round(place.h * scale);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  gl.viewport(0, 0, width, height);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  if (view.mode !== "points") return;
  const now = pointsNow(), { part, ease } = pairAt(view.time);
  loadPalette();
  if (!uploaded || uploaded.points !== now || uploaded.version !== now.version) {
    const isNew = !uploaded || uploaded.points !== now;
    for (const { buffer, field } of buffers) {
      if (!isNew && field === "places") continue;
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, now[field], gl.DYNAMIC_DRAW);
    }
    uploaded = { points: now, version: now.version };
  }
  const set = (name) => gl.getUniformLocation(program, name);
  const kx = 2 * place.unit / place.w, ky = 2 * place.unit / place.h;
  const r = radius(place.side, nearest().entities.length) * Math.min(2.5, view.zoom ** 0.35), rim = r > 2 ? 0.6 : 0;
  gl.uniform2f(set("scale"), kx, ky);
  gl.uniform2f(set("shift"), -place.x0 * kx, -place.y0 * ky);
  gl.uniform1f(set("part"), part);
  gl.uniform1f(set("ease"), ease);
  gl.uniform1f(set("size"), 2 * (r + rim) * scale + 1);
  gl.uniform1f(set("rim"), rim * scale);
  gl.uniform1f(set("dim"), isDimming() ? 0.1 : 1);
  gl.uniform1i(set("isRamp"), isRamp() ? 1 : 0);
  gl.uniform3fv(set("card"), [...rgbOf(themed("--card"))].slice(0, 3).map((c) => c / 255));
  gl.drawArrays(gl.POINTS, 0, now.n);
}
