"""``python -m services.notification``"""

import uvloop

from services.notification.main import main

if __name__ == "__main__":
    uvloop.run(main())
