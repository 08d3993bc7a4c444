// Who would draw a picture from words now, and in which sizes.

export const LEAST_SIDE = 64;

// What contract E takes, after docs/generate.md. `side` is that of the usual square, `step` what
// sides must be multiples of. A test holds this against the service's own table.
const KNOWN = {
  'black-forest-labs/flux-schnell': { title: 'FLUX schnell', side: 1024, most: 2048, step: 1, takesNegativePrompt: false },
  'stability-ai/stable-diffusion': { title: 'Stable Diffusion', side: 768, most: 1024, step: 64, takesNegativePrompt: true },
};
const USUAL = { side: 1024, most: 2048, step: 1, takesNegativePrompt: true };
const DRAWN_STEP = 16; // finer steps than these gain nothing: hosted models round to them

// Names under which others serve the weights of a known model.
const ALIASES = { 'black-forest-labs/flux.1-schnell': 'black-forest-labs/flux-schnell' };

export const SHAPES = ['1:1', '3:2', '2:3', '16:9', '9:16'];

/**
 * @param info the answer of `GET /info`
 * @returns {{models: {name, title, side, most, step, takesNegativePrompt}[], isMock: boolean}}
 *   no models when nobody is configured who could draw; `isMock` when a mock stands in for whoever would
 */
export function drawersOf(info) {
  const isMock = drawsAsMock(info);
  const offered = info.generation_models.text_to_image;
  const named = offered.filter((name) => name.includes('/')).map((name) => ALIASES[name.toLowerCase()] ?? name);
  const anyKnown = isMock || offered.includes('*');
  const names = new Set([...named, ...(anyKnown ? Object.keys(KNOWN) : [])]);
  return { models: [...names].map(modelOf), isMock: isMock && !named.length };
}

export const modelOf = (name) => ({ name, title: name, ...(KNOWN[name] ?? USUAL) });

/** The mock draws in place of a named model only where the operator asked for it. */
function drawsAsMock({ chains, providers }) {
  if (!chains.text_to_image.includes('mock')) return false;
  const replicate = providers.find(({ name }) => name === 'replicate');
  return !replicate || replicate.reason === 'mock mode';
}

/** Width and height in pixels of a shape such as `3:2`, with the area of the model's usual square. */
export function sizeOf(shape, { side, most, step }) {
  const [across, down] = shape.split(':').map(Number);
  const width = Math.sqrt((side * side * across) / down);
  const round = (value) => {
    const unit = Math.max(step, DRAWN_STEP);
    return Math.min(Math.max(Math.round(value / unit) * unit, LEAST_SIDE), most);
  };
  return { width: round(width), height: round((side * side) / width) };
}

/** Whether the model can be asked for this side, in pixels. */
export const isSide = (value, { most, step }) =>
  Number.isInteger(value) && value >= LEAST_SIDE && value <= most && value % step === 0;
