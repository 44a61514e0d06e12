import { cleanupPlugin } from './cleanup/plugin';
import { environmentsPlugin } from './environments/plugin';
import { outputsPlugin } from './outputs/plugin';
import { savingPlugin } from './saving/plugin';
import { sessionPlugin } from './session/plugin';

export default [
  sessionPlugin,
  savingPlugin,
  outputsPlugin,
  cleanupPlugin,
  environmentsPlugin
];
