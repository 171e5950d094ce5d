"""The one component of a page: what is in it, and its numbers."""

from selenium.webdriver.common.by import By

COMPONENT = "//*[starts-with(local-name(), 'minids-')]"


def find(browser, selector):
    return browser.find_element(By.XPATH, COMPONENT).shadow_root.find_element(By.CSS_SELECTOR, selector)


def button(browser, label):
    return find(browser, f'button[aria-label^="{label}"]')


def values(browser):
    return browser.execute_script("return arguments[0].values", browser.find_element(By.XPATH, COMPONENT))
