// npm's install step: builds the native part in place. Downloads nothing.
import { buildNative } from './build-native.mjs';
import { checkSystem } from './check-system.mjs';

checkSystem();
buildNative();
