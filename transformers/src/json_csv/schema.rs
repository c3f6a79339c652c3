//! The columns: a tree of keys in the order in which the input first showed them.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits::Limits;
use super::problem::Problem;

/// One path from a record downwards. Cheap to copy; belongs to one [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    /// The record itself.
    pub(super) const ROOT: Self = Self(0);

    /// For a vector with one element a node.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Clone)]
struct Node {
    parent: NodeId,
    key: Arc<[u8]>,
    /// This node's place among its parent's children.
    order: usize,
    children: Vec<NodeId>,
    by_key: HashMap<Arc<[u8]>, NodeId>,
    /// Length of the column name: all keys of the path and the separators.
    name_bytes: usize,
    /// Anything but null or an object was here: the path is a column even when it has children.
    has_value: bool,
    /// Its column once the schema is settled.
    column: Option<u32>,
    /// The record that showed it first, for messages.
    first_record: u64,
}

/// Two paths that give one column name (`{"a.b":1}` and `{"a":{"b":1}}`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) first: NodeId,
    pub(super) second: NodeId,
}

/// The tree. A path is a column when a value other than null or an object was seen there, or when nothing
/// lies below it. (So `{"a":null}` beside `{"a":{"b":1}}` gives `a.b` alone: the header does not depend on
/// whether some record of the day had a null there. `{"a":1}` beside `{"a":{"b":1}}` gives `a` and `a.b`: no
/// value is lost.)
#[derive(Debug, Clone)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    columns: usize,
    name_bytes: usize,
    changes: u64,
}

impl Schema {
    pub(super) fn new() -> Self {
        let root = Node {
            parent: NodeId::ROOT,
            key: Arc::from([]),
            order: 0,
            children: Vec::new(),
            by_key: HashMap::new(),
            name_bytes: 0,
            has_value: false,
            column: None,
            first_record: 0,
        };
        Self { nodes: vec![root], columns: 0, name_bytes: 0, changes: 0 }
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// How many paths there are, the record itself counted.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How often something new was seen: a path, or the first value at one.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether a value other than null or an object was seen there.
    pub(super) fn has_value(&self, id: NodeId) -> bool {
        self.node(id).has_value
    }

    /// How many columns the paths so far make.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The place of a node among its siblings.
    pub(super) fn order(&self, id: NodeId) -> usize {
        self.node(id).order
    }

    /// The members of the object that stands at a node, in first-seen order.
    pub(super) fn children(&self, id: NodeId) -> &[NodeId] {
        &self.node(id).children
    }

    /// The key of a node, decoded.
    pub(super) fn key(&self, id: NodeId) -> &[u8] {
        &self.node(id).key
    }

    /// The column of a node, once settled.
    pub(super) fn column(&self, id: NodeId) -> Option<usize> {
        self.node(id).column.map(|column| column as usize)
    }

    /// The child with this key. `guess` is the place where it most likely stands: records of one kind repeat
    /// their keys in one order, so a comparison nearly always saves the hash.
    pub(super) fn child(&self, parent: NodeId, key: &[u8], guess: usize) -> Option<NodeId> {
        let parent = self.node(parent);
        match parent.children.get(guess) {
            Some(id) if *self.node(*id).key == *key => Some(*id),
            _ => parent.by_key.get(key).copied(),
        }
    }

    /// A new child, which must not exist yet.
    pub(super) fn add(
        &mut self,
        parent_id: NodeId,
        key: &[u8],
        record: u64,
        limits: &Limits,
    ) -> Result<NodeId, Problem> {
        let parent = self.node(parent_id);
        let name_bytes = parent.name_bytes + usize::from(parent_id != NodeId::ROOT) + key.len();
        // A node without children is a column until it turns out to be only a way to its children.
        let parent_was_column = parent_id != NodeId::ROOT && parent.children.is_empty() && !parent.has_value;
        // Every node costs at least 1 here, so this bounds the number of nodes as well.
        self.name_bytes += name_bytes.max(1);
        if self.name_bytes > limits.name_bytes {
            return Err(Problem::NamesTooLong(limits.name_bytes));
        }
        let id =
            NodeId(u32::try_from(self.nodes.len()).map_err(|_| Problem::NamesTooLong(limits.name_bytes))?);
        self.columns += usize::from(!parent_was_column);
        self.changes += 1;
        let key: Arc<[u8]> = Arc::from(key);
        let parent = self.node_mut(parent_id);
        let order = parent.children.len();
        parent.children.push(id);
        parent.by_key.insert(Arc::clone(&key), id);
        self.nodes.push(Node {
            parent: parent_id,
            key,
            order,
            children: Vec::new(),
            by_key: HashMap::new(),
            name_bytes,
            has_value: false,
            column: None,
            first_record: record,
        });
        Ok(id)
    }

    /// Notes that a value other than null or an object stands at this path.
    pub(super) fn mark_value(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        if !node.has_value {
            node.has_value = true;
            let becomes_column = !node.children.is_empty();
            self.columns += usize::from(becomes_column);
            self.changes += 1;
        }
    }

    /// Numbers the columns depth first and gives them back in order with their names: the keys of the path with `separator`
    /// between them. What is added afterwards has no column
    /// until it is settled again.
    pub(super) fn settle(&mut self, separator: &[u8]) -> Result<Vec<Vec<u8>>, Conflict> {
        let mut names: Vec<Vec<u8>> = Vec::with_capacity(self.columns);
        let mut owners: HashMap<Vec<u8>, NodeId> = HashMap::with_capacity(self.columns);
        let mut todo = vec![NodeId::ROOT];
        while let Some(id) = todo.pop() {
            self.node_mut(id).column = None;
            let node = self.node(id);
            todo.extend(node.children.iter().rev());
            if id != NodeId::ROOT && (node.has_value || node.children.is_empty()) {
                let name = self.path(id).join(separator);
                if let Some(first) = owners.insert(name.clone(), id) {
                    return Err(Conflict { first, second: id });
                }
                self.node_mut(id).column = u32::try_from(names.len()).ok();
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The keys from the record down to the node.
    fn path(&self, mut id: NodeId) -> Vec<&[u8]> {
        let mut keys = Vec::new();
        while id != NodeId::ROOT {
            let node = self.node(id);
            keys.push(&*node.key);
            id = node.parent;
        }
        keys.reverse();
        keys
    }

    /// The record that first showed a node.
    pub(super) fn first_record(&self, id: NodeId) -> u64 {
        self.node(id).first_record
    }

    /// The path as a JSON Pointer (RFC 6901 section 3) for messages: control characters escaped so that it
    /// stays on one line, cut at 200 characters, none for the record itself.
    pub(super) fn pointer(&self, id: NodeId) -> Option<String> {
        const MOST: usize = 200;
        if id == NodeId::ROOT {
            return None;
        }
        let mut pointer = String::new();
        for key in self.path(id) {
            pointer.push('/');
            // A key can be megabytes long; of what is not shown nothing needs escaping.
            for character in String::from_utf8_lossy(&key[..key.len().min(4 * MOST)]).chars() {
                match character {
                    '~' => pointer.push_str("~0"),
                    '/' => pointer.push_str("~1"),
                    other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}') => {
                        pointer.extend(other.escape_default());
                    }
                    other => pointer.push(other),
                }
            }
        }
        if let Some((cut, _)) = pointer.char_indices().nth(MOST) {
            pointer.truncate(cut);
            pointer.push('…');
        }
        Some(pointer)
    }

    /// Bytes of memory that grow with the schema, roughly; for the test that memory does not grow with the
    /// input.
    #[cfg(test)]
    pub(super) fn retained_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.name_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_path(schema: &mut Schema, path: &[&str]) -> NodeId {
        let mut id = NodeId::ROOT;
        for key in path {
            id = match schema.child(id, key.as_bytes(), 0) {
                Some(child) => child,
                None => schema.add(id, key.as_bytes(), 1, &Limits::default()).unwrap(),
            };
        }
        id
    }

    fn names(schema: &mut Schema) -> Vec<String> {
        let names = schema.settle(b".").unwrap();
        assert_eq!(names.len(), schema.columns(), "the count kept on the way is the count in the end");
        names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn siblings_stay_together_in_first_seen_order() {
        let mut schema = Schema::new();
        for path in [&["a", "x"][..], &["b"], &["a", "y"], &["c", "d", "e"], &["c", "f"], &["a", "x"]] {
            let id = add_path(&mut schema, path);
            schema.mark_value(id);
        }
        assert_eq!(names(&mut schema), ["a.x", "a.y", "b", "c.d.e", "c.f"]);
    }

    #[test]
    fn a_path_with_children_is_a_column_only_with_a_value_of_its_own() {
        let mut schema = Schema::new();
        add_path(&mut schema, &["null_then_object"]);
        add_path(&mut schema, &["null_then_object", "x"]);
        let id = add_path(&mut schema, &["value_then_object"]);
        schema.mark_value(id);
        add_path(&mut schema, &["value_then_object", "x"]);
        add_path(&mut schema, &["object_then_value", "x"]);
        let id = add_path(&mut schema, &["object_then_value"]);
        schema.mark_value(id);
        schema.mark_value(id);
        add_path(&mut schema, &["only_null"]);
        assert_eq!(
            names(&mut schema),
            [
                "null_then_object.x",
                "value_then_object",
                "value_then_object.x",
                "object_then_value",
                "object_then_value.x",
                "only_null"
            ]
        );
    }

    #[test]
    fn two_paths_with_one_name_are_a_conflict() {
        let mut schema = Schema::new();
        let first = add_path(&mut schema, &["a.b"]);
        let second = add_path(&mut schema, &["a", "b"]);
        assert_eq!(schema.settle(b"."), Err(Conflict { first, second }));
    }

    #[test]
    fn a_wrong_guess_costs_a_look_up_and_nothing_else() {
        let mut schema = Schema::new();
        let a = add_path(&mut schema, &["a"]);
        let b = add_path(&mut schema, &["b"]);
        for guess in [0, 1, 2, usize::MAX] {
            assert_eq!(schema.child(NodeId::ROOT, b"a", guess), Some(a));
            assert_eq!(schema.child(NodeId::ROOT, b"b", guess), Some(b));
            assert_eq!(schema.child(NodeId::ROOT, b"c", guess), None);
        }
    }

    #[test]
    fn a_pointer_is_escaped_on_one_line_and_short() {
        let mut schema = Schema::new();
        let id = add_path(&mut schema, &["a/b", "c~d", "", "e\nf\u{2028}", "é"]);
        assert_eq!(schema.pointer(id).unwrap(), "/a~1b/c~0d//e\\nf\\u{2028}/é");
        assert_eq!(schema.pointer(NodeId::ROOT), None);
        let id = add_path(&mut schema, &[&"é".repeat(5000)]);
        assert_eq!(schema.pointer(id).unwrap().chars().count(), 201);
    }

    #[test]
    fn names_are_bounded() {
        let limits = Limits { name_bytes: 10, ..Limits::default() };
        let mut schema = Schema::new();
        let a = schema.add(NodeId::ROOT, b"aaaa", 1, &limits).unwrap();
        assert_eq!(schema.add(a, b"bb", 1, &limits), Err(Problem::NamesTooLong(10)), "4 + (4 + 1 + 2) is 11");
    }
}
