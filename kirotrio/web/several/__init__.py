"""Several gateways on one PostgreSQL: what they have to know together lies in the database."""
