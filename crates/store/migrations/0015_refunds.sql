-- Of which sale a refund is: it is kept with the person of its sale, whichever of them arrives first.
ALTER TABLE fact ADD COLUMN of_sale TEXT;
UPDATE fact SET of_sale = CAST(body AS /*sqlite TEXT */JSON)->>'sale' WHERE type = 'refund';
CREATE INDEX fact_of_sale ON fact (program_id, of_sale) WHERE of_sale IS NOT NULL;
