"""Installs the packages of the peers that run on Node.js: `make peers`.

They go into the folder of RETROBUS_BENCH_PEERS, or else into ~/.cache/retrobus-peers; nothing else is changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("RETROBUS_BENCH_PEERS") or Path.home() / ".cache" / "retrobus-peers")
CONFIGURATION = """import { defineConfig } from 'prisma/config'
export default defineConfig({ schema: 'schema.prisma', datasource: { url: 'postgresql://nobody@127.0.0.1/nothing' } })
"""
ENGINE = "#!/bin/sh\nexit 0\n"
"""`prisma generate` insists on a schema engine, though it does not run it: this stands in, so none is downloaded."""


def main() -> None:
    """Installs the packages and generates Prisma's client."""
    if missing := [program for program in ("node", "npm", "npx") if shutil.which(program) is None]:
        sys.exit(f"make peers needs {', '.join(missing)}: install Node.js 20 or newer")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "schema.prisma"):
        shutil.copy(HERE / name, FOLDER / name)
    (FOLDER / "prisma.config.ts").write_text(CONFIGURATION)
    engine = FOLDER / "engine"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    environment = os.environ | {"PRISMA_SCHEMA_ENGINE_BINARY": str(engine)}
    for command in (["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], ["npx", "prisma", "generate"]):
        done = subprocess.run(command, cwd=FOLDER, env=environment, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed in {FOLDER}")
    print(f"ready in {FOLDER}; make bench finds it there")


if __name__ == "__main__":
    main()
