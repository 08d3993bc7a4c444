// Dollars as people read them: cents for sums, as many digits as it takes for a single picture.

import { language } from './i18n.js';

export function money(dollars) {
  const isSmall = dollars > 0 && dollars < 0.1;
  const format = new Intl.NumberFormat(language(), {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    ...(isSmall ? { minimumFractionDigits: 2, maximumSignificantDigits: 2 } : {}),
  });
  return format.format(dollars);
}
