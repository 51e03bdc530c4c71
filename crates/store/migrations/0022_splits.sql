-- Who shares what a binding's partner earns, by date: `[[from, [[partner, percent], …]], …]`, percents in millionths. A new
-- binding starts without.
ALTER TABLE attribution ADD COLUMN splits TEXT;
-- Who shared what a commission is a portion of, the direct partner first: `[[partner, percent], …]`.
ALTER TABLE commission ADD COLUMN split TEXT;
