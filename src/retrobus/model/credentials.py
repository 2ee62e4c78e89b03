"""What people send to prove who they are."""

from retrobus.model.fields import AccountName, Password, Proof, Wire


class Login(Wire):
    """E-mail (or matricule) and password."""

    email: AccountName
    password: Proof


class MemberLogin(Wire):
    """Exact matricule or e-mail, and password."""

    identifier: AccountName
    password: Proof


class PasswordChange(Wire):
    """The password as it is and as it shall be."""

    current_password: Proof
    new_password: Password
