import { environmentsPlugin } from './environments/plugin';
import { savingPlugin } from './saving/plugin';
import { sessionPlugin } from './session/plugin';

export default [sessionPlugin, savingPlugin, environmentsPlugin];
