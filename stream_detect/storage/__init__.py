"""The database: tables, migrations and queries. Only this room uses SQLAlchemy."""
