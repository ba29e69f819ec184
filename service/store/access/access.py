"""Access: every part of the store that is about identities."""

from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.store.access.door import Door
from service.store.access.keys import ApiKeys
from service.store.access.organizations import Organizations
from service.store.access.sessions import Sessions
from service.store.access.tenants import Tenants
from service.store.access.users import Users
from service.store.database.database import Database


class Access:
    """Tenants, organisations, users, their log-ins and keys, in one scope."""

    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        of = database, scope, actor
        self.door = Door(*of)
        self.keys = ApiKeys(*of)
        self.tenants = Tenants(*of)
        self.organizations = Organizations(*of)
        self.users = Users(*of)
        self.sessions = Sessions(*of)
