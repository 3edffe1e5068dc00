"""``python -m services.intake``"""

import uvloop

from services.intake.main import main

if __name__ == "__main__":
    uvloop.run(main())
