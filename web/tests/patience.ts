/** How long tests wait for what must come: a busy machine takes longer than a second, and only a test that fails waits. */
import { configure } from "@testing-library/react";

configure({ asyncUtilTimeout: 60_000 });
