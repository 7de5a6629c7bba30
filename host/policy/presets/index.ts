// The presets, named like the builder methods that allow them.
export * as families from './families.js';
export { node } from './node.js';
export { type Preset, prepare, type ReadyPreset } from './preset.js';
export * as programs from './programs.js';
