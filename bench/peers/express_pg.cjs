// Express 5 with node-postgres and SQL by hand.
const { randomUUID } = require('node:crypto')
const { Pool } = require('pg')

const pool = new Pool({ max: 10 })
const list = (...names) => names.map(name => {
  const column = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
  return column === name ? name : `${column} AS "${name}"`
}).join(', ')
const VEHICLE = list('id', 'parc', 'type', 'modele', 'marque', 'subtitle', 'immat', 'etat', 'miseEnCirculation',
  'energie', 'description', 'history', 'caracteristiques', 'gallery', 'backgroundImage', 'backgroundPosition',
  'isPublic', 'fuel', 'mileage', 'createdAt', 'updatedAt')
const EVENT = list('id', 'title', 'date', 'time', 'location', 'description', 'helloAssoUrl', 'layout', 'adultPrice',
  'childPrice', 'vehicleId', 'status', 'extras', 'maxParticipants', 'currentParticipants', 'createdAt', 'updatedAt')
const CREATE = `INSERT INTO event (id, title, date, time, location, description, hello_asso_url, layout, adult_price,
  child_price, vehicle_id, status, extras, max_participants)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING ${EVENT}`
const rows = async (...query) => (await pool.query(...query)).rows

require('./express.cjs')({
  vehicle: async parc => (await rows(`SELECT ${VEHICLE} FROM vehicle WHERE parc = $1`, [parc]))[0],
  events: () => rows(`SELECT ${EVENT} FROM event ORDER BY date DESC`),
  publicVehicles: () => rows(`SELECT ${VEHICLE} FROM vehicle WHERE is_public ORDER BY parc`),
  create: async body => (await rows(CREATE, [randomUUID(), body.title, new Date(body.date), body.time, body.location,
    body.description, body.helloAssoUrl, body.layout, body.adultPrice, body.childPrice, body.vehicleId, body.status,
    JSON.stringify(body.extras), body.maxParticipants]))[0],
  remove: async id => (await pool.query('DELETE FROM event WHERE id = $1', [id])).rowCount
})
