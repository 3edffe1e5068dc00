"""``python -m services.routing``"""

import uvloop

from services.routing.main import main

if __name__ == "__main__":
    uvloop.run(main())
