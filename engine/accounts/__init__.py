"""Who may enter, and as what: companies, users, memberships, sign-in sessions. A role is read anew on each request."""
