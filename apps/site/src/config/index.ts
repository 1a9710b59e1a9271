export { loadSettings, SettingsError, type SettingsSources, settingsTable } from "./load.ts";
export { type SiteSettings, siteSettings } from "./settings.ts";
