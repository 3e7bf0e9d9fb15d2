import { Component, type ReactNode } from "react";
import { Button } from "./Button";

interface Props {
  /** A live check would end with a reload. */
  readonly running: boolean;
  /** Whether the server answers, so that a reload shows the page again. */
  readonly answers: () => Promise<boolean>;
  readonly onReload: () => void;
  readonly children: ReactNode;
}

interface State {
  readonly failed: boolean;
  readonly away: boolean;
}

/** Catches a page that cannot be shown: its files are loaded on demand, and an update of the server renames them. */
export class PageBoundary extends Component<Props, State> {
  override readonly state: State = { failed: false, away: false };

  static getDerivedStateFromError(): Partial<State> {
    return { failed: true };
  }

  override render(): ReactNode {
    const { running, children } = this.props;
    if (!this.state.failed) return children;
    return (
      <div role="alert" data-testid="page-failed" className="panel space-y-3 p-4">
        <p>
          This page could not be loaded. The server may be away, or it was updated after you had opened the page.
          {running && " Reloading ends the live check."}
        </p>
        {this.state.away && <p className="font-semibold">The server does not answer. Try again in a moment.</p>}
        <Button onClick={() => void this.reload()}>Reload</Button>
      </div>
    );
  }

  /** Reloads only if the server answers: what is open would be lost otherwise. */
  private async reload(): Promise<void> {
    if (await this.props.answers()) this.props.onReload();
    else this.setState({ away: true });
  }
}
