"""``python -m services.reporting``"""

import uvloop

from services.reporting.main import main

if __name__ == "__main__":
    uvloop.run(main())
