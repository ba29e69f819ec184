"""Access: every part of the store that is about identities."""

from typing import TYPE_CHECKING

from service.store.part import HasParts, Late

if TYPE_CHECKING:
    from service.store.access.door import Door
    from service.store.access.keys import ApiKeys
    from service.store.access.organizations import Organizations
    from service.store.access.sessions import Sessions
    from service.store.access.tenants import Tenants
    from service.store.access.users import Users


class Access(HasParts):
    """Tenants, organisations, users, their log-ins and keys, in one scope."""

    door: "Late[Door]" = Late("access.door:Door")
    keys: "Late[ApiKeys]" = Late("access.keys:ApiKeys")
    tenants: "Late[Tenants]" = Late("access.tenants:Tenants")
    organizations: "Late[Organizations]" = Late("access.organizations:Organizations")
    users: "Late[Users]" = Late("access.users:Users")
    sessions: "Late[Sessions]" = Late("access.sessions:Sessions")
