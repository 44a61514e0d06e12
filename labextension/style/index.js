import './base.css';
import './environments.css';
