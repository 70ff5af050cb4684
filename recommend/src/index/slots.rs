//! A small value for each slot.

const PAGE: usize = 1_024;

/// Values by slot, in pages that are there while one of their slots has a value. Finding one is two reads.
#[derive(Debug)]
pub(super) struct Slots<T> {
    pages: Vec<Option<Box<Page<T>>>>,
}

#[derive(Debug)]
struct Page<T> {
    used: usize,
    values: [Option<T>; PAGE],
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

fn split(slot: u32) -> (usize, usize) {
    (slot as usize / PAGE, slot as usize % PAGE)
}

impl<T: Copy> Slots<T> {
    pub(super) fn get(&self, slot: u32) -> Option<T> {
        let (page, at) = split(slot);
        self.pages.get(page)?.as_ref()?.values[at]
    }

    pub(super) fn set(&mut self, slot: u32, value: T) {
        let (page, at) = split(slot);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new(Page { used: 0, values: [None; PAGE] }));
        page.used += usize::from(page.values[at].replace(value).is_none());
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<T> {
        let (at_page, at) = split(slot);
        let page = self.pages.get_mut(at_page)?.as_mut()?;
        let value = page.values[at].take()?;
        page.used -= 1;
        if page.used == 0 {
            self.pages[at_page] = None;
            while self.pages.last().is_some_and(Option::is_none) {
                self.pages.pop();
            }
            if self.pages.len() * 4 <= self.pages.capacity() {
                self.pages.shrink_to(self.pages.len() * 2);
            }
        }
        Some(value)
    }

    /// Slots with a value from this one on, in their order.
    pub(super) fn from(&self, slot: u32) -> impl Iterator<Item = (u32, T)> {
        let (first, at) = split(slot);
        self.pages.iter().enumerate().skip(first).filter_map(|(n, page)| Some((n, page.as_ref()?))).flat_map(
            move |(n, page)| {
                let skip = if n == first { at } else { 0 };
                let number = move |i: usize| u32::try_from(n * PAGE + i).unwrap_or(u32::MAX);
                page.values.iter().enumerate().skip(skip).filter_map(move |(i, v)| Some((number(i), (*v)?)))
            },
        )
    }

    pub(super) fn bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        self.pages.capacity() * size_of::<Option<Box<Page<T>>>>() + pages * size_of::<Page<T>>()
    }
}
