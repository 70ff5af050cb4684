//! The pages whose size and speed are watched, with their plots.

/// Every page of the dashboard over the large experiment: whoever adds a page adds its path.
pub(crate) const PAGES: &[&str] = &[
    "/dashboard",
    "/dashboard/experiments/large",
    "/dashboard/experiments/large?version=7&days=30",
    "/dashboard/audit",
    "/dashboard/experiments/large?segment=country%3Dland-003%2Cdevice%3Dtelephone",
];

/// Pages of a catalog of 100,000 items.
pub(crate) const CATALOG: &[&str] = &[
    "/dashboard/catalogs",
    "/dashboard/catalogs/large",
    "/dashboard/catalogs/large?q=sku-09",
    "/dashboard/catalogs/large?near=sku-000001",
    "/dashboard/catalogs/large/item?item=sku-000001",
];
