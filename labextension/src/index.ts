import { cleanupPlugin } from './cleanup/plugin';
import { environmentsPlugin } from './environments/plugin';
import { savingPlugin } from './saving/plugin';
import { sessionPlugin } from './session/plugin';

export default [sessionPlugin, savingPlugin, cleanupPlugin, environmentsPlugin];
