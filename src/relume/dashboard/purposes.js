// The three things that a person can want, and which models of the service do them: a model id begins
// with what its model is for.

const WHOLE = 1; // strength: nothing of the original mixed back

export const PURPOSES = {
  repair: { begins: null, hasStrength: true, upscale: 1 },
  enlarge: { begins: 'enlarging/', strength: WHOLE, upscale: 2 },
  cartoon: { begins: 'cartoon/', strength: WHOLE, upscale: 1 },
};

const BEGINNINGS = Object.values(PURPOSES).map(({ begins }) => begins).filter(Boolean);

export function modelsFor(purpose, models) {
  const { begins } = PURPOSES[purpose];
  if (begins) return models.filter(({ id }) => id.startsWith(begins));
  return models.filter(({ id }) => !BEGINNINGS.some((other) => id.startsWith(other)));
}

/** The service's default where that serves the purpose, else the first that does. */
export function usualModel(purpose, models) {
  const fitting = modelsFor(purpose, models);
  return fitting.find((model) => model.default) ?? fitting[0] ?? null;
}

/** In the dictionaries, `restoration/builtin-1` is `restoration_builtin_1`. */
export const wordOfModel = (id) => id.replace(/\W+/g, '_');
