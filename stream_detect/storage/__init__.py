"""The database: tables, migrations, and what is asked of them. SQLAlchemy lives here and nowhere else."""
