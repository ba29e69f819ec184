"""What alembic runs: always on the connection that the service opened, inside its transaction."""

from alembic import context

from service.store.schema.every_table import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
