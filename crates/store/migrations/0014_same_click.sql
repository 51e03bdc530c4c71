-- Whom a click brought: a report that knows the click alone is of that client.
CREATE INDEX attribution_click ON attribution (click_id) WHERE click_id IS NOT NULL;
