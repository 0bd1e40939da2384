import { mount } from "svelte";
import App from "./App.svelte";
import "./style.css";

const target = document.getElementById("app")!;
target.replaceChildren(); // what stands there until a script runs
mount(App, { target });
