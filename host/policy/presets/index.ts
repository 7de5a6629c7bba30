// Presets by the name of the builder method that allows them.
export * as families from './families.js';
export { node } from './node.js';
export { type Preset, prepare, type ReadyPreset } from './preset.js';
export * as programs from './programs.js';
