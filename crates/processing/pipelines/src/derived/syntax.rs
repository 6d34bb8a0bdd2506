//! From texts to queries: one statement that reads `source`, names as the source has them, and no NaN.

use std::ops::ControlFlow;

use caudal_storage::Source;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    UnaryOperator, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::Asked;
use super::errors::{Trouble, Troubles, unreadable};
use super::functions::CANONICAL;

/// The one table that there is.
pub(super) const TABLE: &str = "source";

pub(super) const ONLY_SELECT: &str = "expected one SELECT statement that only reads";

/// Words and signs that one text may have; what is longer could exhaust the stack.
const MAX_TOKENS: usize = 2_000;

const DIALECT: GenericDialect = GenericDialect {};

/// A query, and the field of the request that it comes from.
pub(super) struct Part {
    pub pointer: String,
    pub query: Query,
}

/// What was asked, read.
#[derive(Default)]
pub(super) struct Reading {
    /// Every text as a query of its own.
    pub parts: Vec<Part>,
    /// All of them in one; `None` where a text is wrong.
    pub whole: Option<Query>,
    pub troubles: Troubles,
}

pub(super) fn read(asked: &Asked, source: &Source) -> Reading {
    let mut reading = Reading::default();
    let whole = match asked {
        Asked::Query(text) => reading.part("/sql".into(), query(text), source),
        Asked::Rows { condition, select } => {
            let items = select.iter().enumerate().map(|(i, text)| {
                let item = item(text);
                let part = item.clone().and_then(|item| rows(vec![item], None));
                reading.part(format!("/select/{i}"), part, source);
                item.ok()
            });
            // Every text is read, also behind a wrong one.
            let items: Vec<_> = items.collect();
            let mut items: Option<Vec<_>> = items.into_iter().collect();
            if select.is_empty() {
                items = item("*").ok().map(|every| vec![every]);
            }
            let condition = condition.as_ref().map(|text| {
                let condition = expression(text);
                let part = condition.clone().and_then(|c| rows(vec![item("*")?], Some(c)));
                reading.part("/where".into(), part, source);
                condition
            });
            let condition = condition.transpose();
            items.zip(condition.ok()).and_then(|(items, condition)| rows(items, condition).ok())
        }
    };
    reading.whole = whole.and_then(|query| prepared(query, source).ok());
    reading
}

impl Reading {
    fn part(&mut self, pointer: String, query: Result<Query, Trouble>, source: &Source) -> Option<Query> {
        match query.clone().and_then(|query| prepared(query, source)) {
            Ok(query) => self.parts.push(Part { pointer, query }),
            Err(trouble) => self.troubles.push(&pointer, trouble),
        }
        query.ok()
    }
}

/// A parser that stands at the beginning of a text.
fn parser(text: &str) -> Result<Parser<'static>, Trouble> {
    let tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location();
    let tokens = tokens.map_err(|e| wrong(&ParserError::TokenizerError(e.to_string())))?;
    let told = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
    if told > MAX_TOKENS {
        return Err(Trouble::request(format!("expected at most {MAX_TOKENS} words and signs, found {told}")));
    }
    Ok(Parser::new(&DIALECT).with_tokens_with_locations(tokens))
}

fn wrong(error: &ParserError) -> Trouble {
    Trouble::request(unreadable(error))
}

/// Reads all of a text.
fn all_of<T>(
    text: &str,
    read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
) -> Result<T, Trouble> {
    let mut parser = parser(text)?;
    let value = read(&mut parser).map_err(|e| wrong(&e))?;
    match parser.peek_token().token {
        Token::EOF => Ok(value),
        rest => Err(Trouble::request(format!("this is not SQL: expected the end, found {rest}"))),
    }
}

fn expression(text: &str) -> Result<Expr, Trouble> {
    all_of(text, Parser::parse_expr)
}

fn item(text: &str) -> Result<SelectItem, Trouble> {
    all_of(text, Parser::parse_select_item)
}

fn query(text: &str) -> Result<Query, Trouble> {
    let mut statements = all_of(text, Parser::parse_statements)?;
    match (statements.pop(), statements.len()) {
        (Some(Statement::Query(query)), 0) => Ok(*query),
        (Some(_), 0) => {
            let first = text.split_whitespace().next().unwrap_or_default().to_uppercase();
            Err(Trouble::request(format!("{ONLY_SELECT}, found {first}")))
        }
        (None, _) => Err(Trouble::request(ONLY_SELECT)),
        (Some(_), others) => Err(Trouble::request(format!("{ONLY_SELECT}, found {} statements", others + 1))),
    }
}

/// `select items from source where condition`
fn rows(items: Vec<SelectItem>, condition: Option<Expr>) -> Result<Query, Trouble> {
    let mut query = query(&format!("select * from {TABLE}"))?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = items;
        select.selection = condition;
    }
    Ok(query)
}

/// A query that may be planned.
fn prepared(mut query: Query, source: &Source) -> Result<Query, Trouble> {
    match query.visit(&mut Preparation { source, named: Vec::new() }) {
        ControlFlow::Continue(()) => Ok(query),
        ControlFlow::Break(trouble) => Err(trouble),
    }
}

/// Looks at every part of a query: refuses what does more than read `source`, finds columns whatever their case, and
/// wraps whatever computes a number so that NaN is NULL within the query too.
struct Preparation<'s> {
    source: &'s Source,
    /// Names of queries in WITH.
    named: Vec<String>,
}

impl VisitorMut for Preparation<'_> {
    type Break = Trouble;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Trouble> {
        match &query.with {
            Some(with) if with.recursive => {
                return ControlFlow::Break(Trouble::request("recursive queries are not run here"));
            }
            Some(with) => self.named.extend(with.cte_tables.iter().map(|cte| cte.alias.name.value.clone())),
            None => {}
        }
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break(Trouble::request(ONLY_SELECT))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Trouble> {
        if select.into.is_some() {
            return ControlFlow::Break(Trouble::request(ONLY_SELECT));
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            {
                // Named as it was written, not as it is planned.
                let alias = Ident::with_quote('"', expr.to_string());
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Trouble> {
        match table {
            TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(no_table(&other.to_string())),
        }
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Trouble> {
        let name = match relation.0.as_mut_slice() {
            [ObjectNamePart::Identifier(name)] => name,
            _ => return ControlFlow::Break(no_table(&relation.to_string())),
        };
        if self.named.contains(&name.value) {
            return ControlFlow::Continue(());
        }
        match name.value.eq_ignore_ascii_case(TABLE) {
            true => {
                name.value = TABLE.into();
                ControlFlow::Continue(())
            }
            false => ControlFlow::Break(no_table(&name.value)),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Trouble> {
        match expr {
            Expr::Identifier(name) => self.find(name),
            Expr::CompoundIdentifier(path) => {
                if let [table, column] = path.as_mut_slice() {
                    if table.quote_style.is_none() && table.value.eq_ignore_ascii_case(TABLE) {
                        table.value = TABLE.into();
                    }
                    self.find(column);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Trouble> {
        if computes(expr) {
            join(expr);
            let computed = std::mem::replace(expr, Expr::Identifier(Ident::new("")));
            *expr = canonical(computed);
        }
        ControlFlow::Continue(())
    }
}

impl Preparation<'_> {
    /// An unquoted name that is no column may be one in other letters, as long as it can only be that one.
    fn find(&self, name: &mut Ident) {
        if name.quote_style.is_some() || self.source.names().any(|column| column == name.value) {
            return;
        }
        let mut alike = self.source.names().filter(|column| column.eq_ignore_ascii_case(&name.value));
        if let (Some(column), None) = (alike.next(), alike.next()) {
            *name = Ident::with_quote('"', column);
        }
    }
}

fn no_table(name: &str) -> Trouble {
    Trouble::request(format!("no table {name}; the only one is {TABLE}"))
}

/// Whether an expression may be NaN or a negative zero although nothing in it is.
fn computes(expr: &Expr) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
    match expr {
        Expr::BinaryOp { op, .. } => matches!(op, Plus | Minus | Multiply | Divide | Modulo),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => !matches!(expr.as_ref(), Expr::Value(_)),
        Expr::Function(_) | Expr::Cast { .. } => true,
        _ => false,
    }
}

/// Takes the wrapping off the operands of an operator that hands NaN on anyway, so that a long sum is wrapped once:
/// planning takes time with the cube of the depth of functions. A divisor keeps it, for the sake of its zero's sign.
fn join(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            unwrap(left);
            if *op != BinaryOperator::Divide {
                unwrap(right);
            }
        }
        Expr::UnaryOp { expr, .. } => unwrap(expr),
        _ => {}
    }
}

/// The opposite of [`canonical`].
fn unwrap(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    if function.name.to_string() != CANONICAL {
        return;
    }
    if let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) = list.args.pop()
    {
        *expr = inner;
    }
}

fn canonical(expr: Expr) -> Expr {
    let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(CANONICAL))]);
    let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))];
    let args = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
