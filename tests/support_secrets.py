"""Secrets of every form that is known, made up and put together when tests run.

Nothing here is a secret, and nothing here looks like one to a scanner of repositories: `samples`
assembles them. A sample is what stands before a secret, the secret, and what stands after it.
"""

from __future__ import annotations

import base64
import random
import string

Sample = tuple[str, str, str]

_URL = string.ascii_letters + string.digits + "_-"
_PLAIN = string.ascii_letters + string.digits
_BASE64 = _PLAIN + "+/"


class Maker:
    """Random text of a kind; equal seeds make equal texts."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        """Text of `length` characters out of `alphabet`."""
        return "".join(self._random.choices(alphabet, k=length))

    def plain(self, length: int) -> str:
        """Letters and digits, both there."""
        text = self.of(_PLAIN, length - 3)
        return text[: length // 2] + "x7Q" + text[length // 2 :]

    def lower(self, length: int) -> str:
        """Small letters and digits."""
        return self.of(string.ascii_lowercase + string.digits, length)

    def upper(self, length: int) -> str:
        """Capitals and digits."""
        return self.of(string.ascii_uppercase + string.digits, length)

    def hex(self, length: int) -> str:
        """Hexadecimal digits."""
        return self.of("0123456789abcdef", length)

    def digits(self, length: int) -> str:
        """Decimal digits; the first is no zero."""
        return "4" + self.of(string.digits, length - 1)

    def url(self, length: int) -> str:
        """What base64 for URLs is made of; first and last are letters."""
        return "k" + self.of(_URL, length - 3) + "5z"

    def base64(self, length: int) -> str:
        """What base64 is made of; first and last are letters."""
        return "k" + self.of(_BASE64, length - 3) + "5z"

    def word(self) -> str:
        """A password as people choose them."""
        return f"{self.of(string.ascii_letters, 6)}-{self.of(string.digits, 4)}"

    def pem(self, kind: str) -> str:
        """A private key in PEM."""
        body = "\n".join(self.of(_BASE64, 64) for _ in range(4))
        return f"-----BEGIN {kind}-----\n{body}\n{self.of(_BASE64, 30)}==\n-----END {kind}-----"

    def token(self) -> str:
        """A JSON Web Token."""
        head, body = ('{"alg":"HS256","typ":"JWT"}', f'{{"sub":"{self.digits(10)}","name":"Jo"}}')
        parts = (
            base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in (head, body)
        )
        return ".".join((*parts, self.url(43)))


def samples(seed: int = 1) -> dict[str, Sample]:
    """Return secrets by what they are: what is before each, the secret, what is after it."""
    make = Maker(seed)
    return {**keys(make), **tokens(make), **connections(make), **named(make), **commands(make)}


def keys(make: Maker) -> dict[str, Sample]:
    """Private keys and the keys of clouds."""
    putty = f"{make.base64(64)}\n{make.base64(30)}=="
    return {
        "private key, PKCS#8": ("key: ", make.pem("PRIVATE KEY"), " done"),
        "private key, RSA": ("", make.pem("RSA PRIVATE KEY"), ""),
        "private key, EC, in a script": ("cat <<X\n", make.pem("EC PRIVATE KEY"), "\nX\n"),
        "private key, OpenSSH": ("", make.pem("OPENSSH PRIVATE KEY"), "\n"),
        "private key, encrypted": ("", make.pem("ENCRYPTED PRIVATE KEY"), ""),
        "private key, PGP": ("", make.pem("PGP PRIVATE KEY BLOCK"), ""),
        "private key, cut off": ("", make.pem("RSA PRIVATE KEY")[:80], ""),
        "private key, PuTTY": (
            "PuTTY-User-Key-File-3\nPrivate-Lines: 2\n",
            putty,
            "\nPrivate-MAC: 0",
        ),
        "private key, DER in base64": (
            "",
            "MIIEvQI" + "BADANBgkqhkiG9w0BAQEFAASC" + make.base64(80),
            "",
        ),
        "private key, age": ("", "AGE-SECRET-KEY-1" + make.upper(58), ""),
        "private key, WireGuard": (
            "[Interface]\nPrivateKey = ",
            make.base64(43) + "=",
            "\nDNS = 1",
        ),
        "AWS, credentials file": (
            "aws_secret_access_key = ",
            make.base64(40),
            "\nregion = eu-west-1",
        ),
        "AWS, environment": ("export AWS_SECRET_ACCESS_KEY=", make.base64(40), "\n"),
        "AWS, quoted": ("AWS_SECRET_ACCESS_KEY='", make.base64(40), "'"),
        "AWS, JSON": ('{"aws_secret_access_key": "', make.base64(40), '"}'),
        "AWS, as STS answers": ('{"SecretAccessKey": "', make.base64(40), '"}'),
        "AWS, without a prefix": ('secret_access_key = "', make.base64(40), '"'),
        "AWS, Terraform": ('secret_key = "', make.base64(40), '"'),
        "AWS, alone": ("kept here: ", make.base64(40), ", for now"),
        "AWS, after its id": ("AKIA" + make.upper(16) + " / ", make.base64(40), ""),
        "AWS, session token": (
            "AWS_SESSION_TOKEN=",
            "IQoJb3Jp" + "Z2luX2Vj" + make.base64(200),
            "\n",
        ),
        "AWS, session token alone": ("", "FwoG" + "ZXIvYXdz" + make.base64(200), ""),
        "AWS, Bedrock": ("", "ABSK" + make.base64(120), ""),
        "AWS, MWS": ("", "amzn.mws." + "4ea38b7b-f563-7709-4bae-" + make.hex(12), ""),
        "AWS, presigned": (
            "https://b.s3.amazonaws.com/k?X-Amz-Expires=300&X-Amz-Signature=",
            make.hex(64),
            "&x=1",
        ),
        "Azure storage": (
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=",
            make.base64(86) + "==",
            ";EndpointSuffix=core.windows.net",
        ),
        "Azure service bus": (
            "Endpoint=sb://b.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=",
            make.base64(43) + "=",
            "",
        ),
        "Azure SAS": (
            "https://a.blob.core.windows.net/c?sv=2022-11-02&sig=",
            make.base64(43) + "%3D",
            "&se=1",
        ),
        "Azure client secret": ("", make.plain(3) + "8Q" + "~" + make.plain(34), ""),
        "Azure DevOps": ("", make.plain(76) + "AZDO" + make.plain(4), ""),
        "Azure function": ("https://f.azurewebsites.net/api/x?code=", make.url(54) + "==", ""),
        "Azure, marked key": ("", make.plain(76) + "AzFu" + make.plain(8), ""),
        "Google API": ("", "AI" + "za" + make.url(35), ""),
        "Google OAuth secret": ("", "GOCSPX" + "-" + make.url(28), ""),
        "Google OAuth token": ("", "ya29" + "." + make.url(60), ""),
        "Google, service account": (
            '{"type": "service_account", "private_key": "',
            make.pem("PRIVATE KEY").replace("\n", "\\n"),
            '"}',
        ),
    }


def tokens(make: Maker) -> dict[str, Sample]:
    """Tokens of services, by their prefix."""
    return {
        "JSON Web Token": ("Authorization: Bearer ", make.token(), " HTTP"),
        "GitHub, personal": ("token ", "ghp" + "_" + make.plain(36), ""),
        "GitHub, OAuth": ("", "gho" + "_" + make.plain(36), "\n"),
        "GitHub, app": ("git+https://", "ghs" + "_" + make.plain(36), "/x"),
        "GitHub, fine-grained": (
            "",
            "github" + "_pat_" + make.plain(22) + "_" + make.plain(59),
            "",
        ),
        "GitLab, personal": ("curl -H 'PRIVATE-TOKEN: ", "glpat" + "-" + make.plain(20), "'"),
        "GitLab, runner": ("", "glrt" + "-" + make.plain(20), ""),
        "GitLab, runner registration": ("", "GR13" + "48941" + make.plain(20), ""),
        "GitLab, job": ("", "glcbt" + "-64_" + make.plain(20), ""),
        "GitLab, incoming mail": ("", "glimt" + "-" + make.plain(25), ""),
        "GitLab, trigger": ("", "glptt" + "-" + make.hex(40), ""),
        "GitLab, agent": ("", "glagent" + "-" + make.plain(50), ""),
        "GitLab, application": ("", "gloas" + "-" + make.hex(64), ""),
        "Slack, bot": ("", "xox" + "b-" + make.digits(12) + "-" + make.plain(24), ""),
        "Slack, app": ("", "xapp" + "-1-A" + make.digits(9) + "-" + make.hex(32), ""),
        "Slack, webhook": (
            "curl ",
            "https://hooks.slack.com/services/"
            + f"T{make.upper(8)}/B{make.upper(8)}/"
            + make.plain(24),
            "",
        ),
        "Discord, bot": ("", "M" + make.plain(23) + "." + make.plain(6) + "." + make.plain(27), ""),
        "Discord, webhook": (
            "",
            f"https://discord.com/api/webhooks/{make.digits(18)}/" + make.url(68),
            "",
        ),
        "Teams, webhook": (
            "",
            f"https://acme.webhook.office.com/webhookb2/{make.hex(8)}@{make.hex(8)}/IncomingWebhook/"
            + make.hex(32),
            "",
        ),
        "PagerDuty, webhook": ("", "https://events.pagerduty.com/integration/" + make.hex(32), ""),
        "Zapier, webhook": (
            "",
            f"https://hooks.zapier.com/hooks/catch/{make.digits(7)}/" + make.lower(7),
            "",
        ),
        "Stripe": ("", "sk" + "_live_" + make.plain(24), ""),
        "Stripe, test": ("", "rk" + "_test_" + make.plain(24), ""),
        "Stripe, webhook": ("", "whsec" + "_" + make.plain(32), ""),
        "Square": ("", "sq0csp" + "-" + make.url(43), ""),
        "Square, token": ("", "EA" + "AA" + make.plain(60), ""),
        "SendGrid": ("", "SG" + "." + make.url(22) + "." + make.url(43), ""),
        "OpenAI": ("", "sk" + "-" + make.plain(20) + "T3Blbk" + "FJ" + make.plain(20), ""),
        "OpenAI, project": ("", "sk" + "-proj-" + make.url(90), ""),
        "Anthropic": ("", "sk" + "-ant-api03-" + make.url(90), ""),
        "Hugging Face": ("", "hf" + "_" + make.of(string.ascii_letters, 34), ""),
        "Twilio": ("", "SK" + make.hex(32), ""),
        "Telegram": ("", make.digits(9) + ":AA" + make.url(33), ""),
        "Mailgun": ("", "key" + "-" + make.hex(32), ""),
        "Mailchimp": ("", make.hex(32) + "-us" + "14", ""),
        "Brevo": ("", "xkeysib" + "-" + make.hex(64) + "-" + make.plain(16), ""),
        "PyPI": ("", "pypi" + "-AgEIcHlwaS5vcmc" + make.url(72), ""),
        "PyPI, test": ("", "pypi" + "-AgENdGVzdC5weXBpLm9yZw" + make.url(72), ""),
        "npm": ("//registry.npmjs.org/:_authToken=", "npm" + "_" + make.plain(36), ""),
        "npm, old form": (
            "//registry.npmjs.org/:_authToken=",
            f"{make.hex(8)}-89ab-cdef-0123-{make.hex(12)}",
            "",
        ),
        "RubyGems": ("", "rubygems" + "_" + make.hex(48), ""),
        "crates.io": ("", "cio" + make.plain(32), ""),
        "NuGet": ("", "oy2" + make.lower(43), ""),
        "Docker": ("", "dckr" + "_pat_" + make.url(27), ""),
        "DigitalOcean": ("", "dop" + "_v1_" + make.hex(64), ""),
        "Databricks": ("", "dap" + "i" + make.hex(32), ""),
        "Doppler": ("", "dp" + ".pt." + make.plain(43), ""),
        "Shopify": ("", "shpat" + "_" + make.hex(32), ""),
        "New Relic": ("", "NRAK" + "-" + make.upper(27), ""),
        "Grafana": ("", "glsa" + "_" + make.plain(32) + "_" + make.hex(8), ""),
        "Terraform": ("", make.plain(14) + ".atlasv1." + make.url(64), ""),
        "Vault": ("", "hvs" + "." + make.url(90), ""),
        "Pulumi": ("", "pul" + "-" + make.hex(40), ""),
        "Postman": ("", "PMAK" + "-" + make.hex(24) + "-" + make.hex(34), ""),
        "Atlassian": ("", "ATATT3" + make.url(180), ""),
        "Linear": ("", "lin" + "_api_" + make.plain(40), ""),
        "Notion": ("", "ntn" + "_" + make.plain(46), ""),
        "Airtable": ("", "pat" + make.plain(14) + "." + make.hex(64), ""),
        "Figma": ("", "figd" + "_" + make.url(40), ""),
        "Sentry": ("", "sntrys" + "_" + make.plain(80), ""),
        "Supabase": ("", "sbp" + "_" + make.hex(40), ""),
        "PlanetScale": ("", "pscale" + "_tkn_" + make.url(43), ""),
        "Fly.io": ("", "fo1" + "_" + make.url(43), ""),
        "Heroku": ("", "HRKU" + "-" + make.url(60), ""),
        "Okta": ("Authorization: SSWS ", make.url(42), ""),
        "Artifactory": ("", "AKC" + "p" + make.plain(69), ""),
        "Cloudflare": ("", "v1.0" + "-" + make.hex(24) + "-" + make.hex(146), ""),
        "1Password": ("", "ops" + "_eyJ" + make.url(120), ""),
        "Facebook": ("", "EAA" + "C" + make.plain(100), ""),
        "Dynatrace": ("", "dt0c01" + "." + make.upper(24) + "." + make.upper(64), ""),
        "Cloudant": ('cloudant_password="', make.hex(64), '"'),
        "Cloudant, letters": ("cloudant_key = ", make.of(string.ascii_lowercase, 24), ""),
        "Cloudant, URL": ("https://app:", make.hex(64), "@app.cloudant.com"),
        "Cloudant, URL, letters": (
            "https://app:",
            make.of(string.ascii_lowercase, 24),
            "@app.cloudant.com",
        ),
        "IBM Cloud": ("ibm_cloud_api_key = ", make.plain(44), ""),
        "IBM COS": ('"cos_hmac_secret_access_key": "', make.hex(48), '"'),
        "SoftLayer": ("softlayer_api_key = ", make.hex(64), ""),
        "SoftLayer, URL": ("https://api.softlayer.com/soap/v3/", make.hex(64), ""),
    }


def connections(make: Maker) -> dict[str, Sample]:
    """Passwords in addresses and connection strings."""
    return {
        "PostgreSQL": ("postgres://app:", make.word(), "@db.internal:5432/app"),
        "MongoDB": ("mongodb+srv://app:", make.word(), "@cluster0.example.net"),
        "AMQP": ("amqps://app:", make.word(), "@mq.example.com:5671"),
        "MySQL, any characters": (
            "mysql://app:",
            "p%40s/s!w0@rd$" + make.plain(4),
            "@db.internal:3306/app",
        ),
        "Redis, no user": ("rediss://:", make.word(), "@cache.example.com:6379/0"),
        "Go": ("app:", make.word(), "@tcp(db:3306)/app"),
        "Oracle": ("jdbc:oracle:thin:app/", make.word(), "@db:1521:x"),
        "SQL Server": ("Server=db;User ID=sa;Password=", make.word(), ";Encrypt=1"),
        "JDBC": ("jdbc:mysql://db/app?user=app&password=", make.word(), "&ssl=1"),
        "libpq": ("host=db user=app password=", make.word(), " dbname=app"),
        "basic auth in a URL": ("git clone https://bot:", make.word(), "@git.example.com/r.git"),
        "basic auth in a header": (
            "Authorization: Basic ",
            base64.b64encode(f"app:{make.word()}".encode()).decode(),
            "",
        ),
        "bearer": ("Authorization: Bearer ", make.plain(40), "\n"),
        "token in a URL": ("https://x.example.com/?access_token=", make.word(), "&page=2"),
        "key in a URL": ("https://x.example.com/?q=a&key=", make.plain(24), "&page=2"),
        "netrc": ("machine git.example.com login bot password ", make.word(), "\n"),
        "pgpass": ("db.internal:5432:app:app:", make.word(), ""),
        "one-time password": (
            "otpauth://totp/x?secret=",
            make.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32),
            "&issuer=x",
        ),
        "docker login": (
            '{"auths": {"ghcr.io": {"auth": "',
            base64.b64encode(f"app:{make.word()}".encode()).decode(),
            '"}}}',
        ),
    }


def named(make: Maker) -> dict[str, Sample]:
    """Secrets that only their name gives away."""
    return {
        "in a script": ("mysql --user app --password=", make.word(), " app"),
        "in JSON": ('{"user": "app", "password": "', make.word(), '"}'),
        "in JSON in a script": ('aws x --value \'{"user":"app","password":"', make.word(), "\"}'"),
        "in escaped JSON": ('echo "{\\"api_key\\": \\"', make.word(), '\\"}" > x'),
        "in YAML": ("db:\n  password: ", make.word(), "\n  port: 1"),
        "in YAML, several words": (
            "db:\n  passphrase: ",
            f"correct horse {make.word()} staple",
            "\n  port: 1",
        ),
        "in YAML, pairs": ("- name: DB_PASSWORD\n  value: ", make.word(), "\n- name: X"),
        "in JSON, pairs": ('x=\'[{"Name":"DB_PASSWORD","Value":"', make.word(), "\"}]'"),
        "in XML": ("<db><password>", make.word(), "</password></db>"),
        "in a header": ("x-api-key: ", make.word(), "\n"),
        "in a file of settings": ("spring.datasource.password=", make.word(), "\n"),
        "in PowerShell": (
            '<powershell>\n$AdminPassword = "',
            f"P@ss {make.word()}",
            '"\n</powershell>',
        ),
        "in a metric filter": ('{ $.password = "', make.word(), '" }'),
        "with every character": (
            "export DB_PASSWORD='",
            'pa$$"w;0&rd,[ü]{<>}' + make.plain(4),
            "'\n",
        ),
        "unquoted, any characters": ("DB_PASSWORD=", "pa$$w;0&rd,[ü]{<>}" + make.plain(4), "\nX=1"),
        "short": ("export DB_PASSWORD=", "z" + make.plain(4), "\n"),
        "told": ("The admin password is ", f"Hunter{make.digits(3)}!", ", change it"),
        "token of an unknown service": ("ACME_TOKEN=", make.plain(32), "\n"),
        "secret of an unknown service": ("acme-secret: ", make.plain(20), "\n"),
    }


def commands(make: Maker) -> dict[str, Sample]:
    """Passwords that are given to programs."""
    return {
        "option": ("tool --client-secret ", make.word(), " --x"),
        "sshpass": ("sshpass -p ", make.word(), " ssh app@host"),
        "mysql": ("mysql -u app -p", make.word(), " app"),
        "redis-cli": ("redis-cli -h cache -a ", make.word(), " ping"),
        "docker": ("docker login -u app -p ", make.word(), " ghcr.io"),
        "curl": ("curl -u app:", make.word(), " https://x.example.com"),
        "net user": ("net user admin ", make.word(), " /add"),
        "chpasswd": ("echo 'root:", make.word(), "' | chpasswd"),
        "secure string": ("ConvertTo-SecureString '", make.word(), "' -AsPlainText"),
        "SQL": ("CREATE USER app IDENTIFIED BY '", make.word(), "';"),
        "password hash": ("usermod -p '", "$6$" + make.plain(8) + "$" + make.plain(86), "' root"),
    }
